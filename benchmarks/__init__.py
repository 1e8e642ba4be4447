"""What a sign-in costs, beside other clients and beside a floor: ``make bench``."""
