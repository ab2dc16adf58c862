"""What pricing asks others before it answers: is it offered, and may this account read it?"""
