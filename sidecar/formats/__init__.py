"""Other people's texts, without I/O: policy, TXT records, URI, domain name, dotenv, certificates."""
