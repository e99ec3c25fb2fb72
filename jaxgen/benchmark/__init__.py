"""The benchmark of training steps: jaxgen alone, or beside PyTorch where that is installed (`jaxgen benchmark`).

`workloads` has the steps that are timed, and `pytorch`, alone in importing PyTorch, the same steps in it. `train_step`
measures one workload: it is compared (`pytorch.agreement`) and timed (`sides`, `timing`), and its operations and memory
are counted (`flop`, `memory`). `step_report` and `step_chart` show the result.
"""
