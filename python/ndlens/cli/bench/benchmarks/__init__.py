"""The benchmarks, a file each.

Each says in its docstring what it shows, compared with what, and how. It has:

    CONTESTS                the keys of its contests
    PEERS                   packages without which it cannot run, NumPy aside
    FULL, QUICK             its `Settings`: as published, and for a look
    run(ground, settings)   measures, and gives a `Contest` for each table

It runs in an interpreter of its own, so that no benchmark changes the threads or the memory of
another.
"""
