FROM a

COPY <<A <<B /
A
A
