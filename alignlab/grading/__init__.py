"""Grading: students' notebooks run in a sandbox, and checks that they cannot reach.

The code of a submission is hostile until shown otherwise, so it shares no process with a check. For
each submission there are two processes, both forked from one that has the libraries loaded
(``zygote``):

- the *runner* is not trusted. It runs the cells of the submission, then calls its functions when
  asked. It inherits no answer of the reference, no other submission and no grade in its memory.
- the *checker* is trusted. It runs the check cells of the reference notebook; those of the
  submission are never run. Each answer that a check cell names is a stand-in there, which sends the
  arguments to the runner and takes back plain data: numbers, strings, lists, dictionaries and the
  bytes of tensors (``wire``). Gradients cross as well: the backward pass of a stand-in asks the
  runner for the vector-Jacobian product, so a check differentiates through an answer as it would
  in a notebook.

Points come from the checker alone, on a pipe that the runner does not hold. Whatever a submission
does to its own process (new modules, a new ``==``, printed pass lines, an early exit) changes only
the data that come back, and those are compared with values that the checker computed itself. An
argument that an answer changes in place changes in the checker too, as it would in a notebook, so
that a check notices: checks pass copies.

What a submission can do to the machine depends on what the system allows (``sandbox``):

- ``namespaces`` (Linux with user namespaces): no network; no other process to be seen; of the files
  only Python, its packages, this package and system folders, read-only; a scratch folder in memory.
  Solutions, other submissions and grades are not there.
- ``user`` (root without namespaces, as in some containers): runs as ``nobody``. It has the network
  and reads what everyone may read.
- ``process`` (anything else): a process with limits. It has the network and can do what you can.

In every case: limits on time, memory, open files and processes, output thrown away, and all
processes of a submission killed at its end.

Not defended: an answer copied from elsewhere, also from ``alignlab.losses`` or out of a check's
source, which students have; an answer written for the inputs of a check, whose seeds are public;
a flaw in the kernel, in PyTorch or in Python. Under ``process``, and in part under ``user``, read
files and the network too: grade strangers' work there only in a machine that you can throw away.

Limits of the stand-in: no second derivatives; an answer returns plain data, tensors, arrays or
functions (of any other object only the name of its class arrives); random numbers of an answer come
from a seed that the checker draws for each call.
"""
