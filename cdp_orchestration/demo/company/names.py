"""Invented names for the demo company's people, by country. Any likeness is chance."""

from typing import NamedTuple


class Country(NamedTuple):
    """How many of a hundred people come from there, its calling code, and what people there are called."""

    weight: int
    calling_code: str
    first_names: list[str]
    last_names: list[str]


COUNTRIES = {
    "PT": Country(
        30,
        "351",
        [
            "José",
            "Inês",
            "Rui",
            "Marta",
            "Tiago",
            "Beatriz",
            "João",
            "Leonor",
            "Nuno",
            "Catarina",
            "Duarte",
            "Íris",
        ],
        [
            "Sardinha",
            "Valadares",
            "Pimentel",
            "Falcão",
            "Moura",
            "Quintela",
            "Brandão",
            "Teles",
            "Veloso",
            "Sarmento",
        ],
    ),
    "ES": Country(
        14,
        "34",
        ["Lucía", "Álvaro", "Nuria", "Íñigo", "Pilar", "Hugo", "Carmen", "Adrián", "Elena", "Mateo"],
        [
            "Robledo",
            "Cifuentes",
            "Peñalver",
            "Aranda",
            "Urrutia",
            "Solís",
            "Montalvo",
            "Barea",
            "Quiroga",
            "Lanza",
        ],
    ),
    "GB": Country(
        16,
        "44",
        ["Zoë", "Oliver", "Maisie", "Callum", "Harriet", "Rhys", "Imogen", "Toby", "Freya", "Duncan"],
        [
            "Thackeray",
            "Ashdown",
            "Pemberton",
            "Winslow",
            "Holloway",
            "Crane",
            "Fairfax",
            "Lockhart",
            "Marlow",
            "Quill",
        ],
    ),
    "DE": Country(
        14,
        "49",
        ["Jürgen", "Anke", "Lukas", "Käthe", "Moritz", "Svenja", "Björn", "Heike", "Timo", "Greta"],
        [
            "Hagedorn",
            "Löwe",
            "Brückner",
            "Steinfeld",
            "Kranz",
            "Vogel",
            "Mühlbauer",
            "Rabe",
            "Thiele",
            "Ostwald",
        ],
    ),
    "FR": Country(
        12,
        "33",
        ["Chloé", "Théo", "Amélie", "Rémi", "Solène", "Baptiste", "Noémie", "Luc", "Élise", "Gaël"],
        [
            "Delacour",
            "Marchand",
            "Péron",
            "Vasseur",
            "Tissot",
            "Beaulieu",
            "Garnier",
            "Clément",
            "Rousset",
            "Vidal",
        ],
    ),
    "NL": Country(
        7,
        "31",
        ["Daan", "Fleur", "Sanne", "Jeroen", "Lotte", "Bram", "Anouk", "Thijs"],
        ["Leeuwenburg", "Hoekstra", "Wilde", "Brandsma", "Kuiper", "Verhoeven", "Zijlstra", "Postma"],
    ),
    "US": Country(
        7,
        "1",
        ["Avery", "Logan", "Renée", "Mason", "Harper", "Wyatt", "Brooke", "Caleb"],
        ["Whitlock", "Sandoval", "Prescott", "Calloway", "Ferris", "Ludlow", "Tanaka", "Okafor"],
    ),
}
MAIL_DOMAINS = ("mailbox.example", "post.example", "inbox.example", "brieftaube.example", "correio.example")
