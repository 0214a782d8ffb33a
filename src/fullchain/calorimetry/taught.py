"""What a model has from the one that it learns from."""

from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.errors import InputError


def preprocessing_of_teacher(
    given: PreprocessingSettings, teacher: ShowerModel
) -> PreprocessingSettings:
    """Settings of the numbers of a teacher, which are those of who learns from it.

    Raises
    ------
    InputError
        The settings of the latter say something else. As they come they say nothing.
    """
    has = teacher.preprocessing.settings
    if given not in (PreprocessingSettings(), has):
        raise InputError(
            f"preprocessing is {given}, that of the teacher is {has}; leave it out, and the "
            "teacher's is taken"
        )
    return has
