#= /e mode: cairn 755 \| docker 611
#: echo n >n; mkdir d; touch d/f
FROM base
ADD n /n
ADD d /d
ADD --chown=app:staff --chmod=611 n d /e/
