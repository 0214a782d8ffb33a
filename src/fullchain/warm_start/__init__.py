"""A server that has imported the heavy packages once and forks a process for each job.

Nothing here belongs to a step: a job does the same with it and without it. The parts:

``client``
    what the command `fullchain` does when ``FULLCHAIN_SERVER`` names a server: it hands over its
    command line, environment, streams and limits, forwards signals, and ends as the job ends.
``server``
    a script that takes jobs at a Unix socket and passes each to the template of its environment.
``template``
    a script that imports third-party packages, never the project's own, and forks.
``driver``
    what starts the server beside Snakemake, and lets Snakemake's benchmark tables see the jobs.
"""
