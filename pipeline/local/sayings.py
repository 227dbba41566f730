"""What the invented customers of the demonstration are called, and what they say."""

from __future__ import annotations

from typing import Final

FIRST_NAMES: Final = (
    "Ada", "Amir", "Anna", "Bela", "Carlos", "Chen", "Dara", "Elif", "Emma", "Farah", "Grace", "Hana", "Ivan", "Jamal",
    "Kofi", "Laila", "Liam", "Mina", "Noor", "Olga", "Paul", "Rosa", "Sara", "Tom", "Uma", "Yara", "Zoe",
)  # fmt: skip
LAST_NAMES: Final = (
    "Adler", "Bauer", "Costa", "Diaz", "Evans", "Fischer", "Garcia", "Hosseini", "Ito", "Jensen", "Khan", "Lopez",
    "Meyer", "Nowak", "Okafor", "Park", "Quinn", "Rossi", "Smith", "Tanaka", "Usman", "Vidal", "Wong", "Young", "Zare",
)  # fmt: skip

GOOD: Final = (
    "I love this shop, the disc arrived early and it sounds wonderful",
    "What a great selection, and the price was very good. I will be back",
    "Happy with everything: quick, friendly and well packed. Thank you!",
    "This was the best record I have bought all year, and the service is excellent",
    "My order came two days before they said it would. Impressed and delighted",
)
MIXED: Final = (
    "The album is fine, the case was cracked and that is all there is to it",
    "It came after a week, as they said. The booklet is in another language",
    "I ordered this for my brother and he has not said what he thinks of it",
)
BAD: Final = (
    "Very disappointed: the disc was scratched and nobody has answered my mail",
    "Terrible. I waited three weeks and then they sent the wrong album",
    "The parcel was damaged and the support was rude. I want my money back",
    "This is the worst service I have had. They lost my order and will not help",
)
QUESTIONS: Final = (
    "When will the new recording be in stock, and can I order it before?",
    "Could you send it to my office and not to my home this time?",
    "Is this the version with the second disc or the one without?",
)
IDEAS: Final = (
    "It would be nice if I could listen to a minute of each track before I buy",
    "You should tell me when an artist I have bought before has something new",
)
COMPLIMENTS: Final = (
    "The person on the phone was so kind and found my order at once. Thank you",
    "Just to say that your packing is the best I have seen. Great work!",
)
