"""One file per verb: plan, act, report. The only place that knows the order of things."""
