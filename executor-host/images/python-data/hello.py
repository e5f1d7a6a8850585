import matplotlib.pyplot
import pandas

print(pandas.Series(["Hello", "from", "pandas"]).str.cat(sep=" "))
