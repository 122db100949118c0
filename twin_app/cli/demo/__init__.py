"""`twin demo`: a broker, two workers and two lines on this machine; a machine breaks, a worker is killed, nothing is lost."""
