"""The loop: a strategy asks, devices and data answer, and the best are measured once more.

job.py       what is asked of a search
bench.py     candidates to trials: exported, judged on the task, measured on the devices
unrest.py    a device whose figures can mostly not be trusted ends it
run.py       batch after batch, each in the store before the next
final.py     the front once more: measured afresh, judged on all data, beside what was predicted
"""
