"""What each verb of the command line does, said in a terminal."""
