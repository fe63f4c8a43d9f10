"""Everything with a disk, a clock or a screen: training runs, evaluation, figures, studies."""
