# A text as C: each line becomes a string literal.
s/[\\"]/\\&/g
s/.*/"&\\n"/
