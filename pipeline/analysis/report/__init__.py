"""The shop's report: pure tables made from customers and their log, then a terminal, CSV files or one page of HTML."""
