# a

  # b
