"""The error that is the user's to mend."""


class InputError(Exception):
    """Something in the input or the configuration is wrong.

    The message names the file, branch, key or bin at fault and says what to do; the command line
    prints it without a traceback.
    """
