#!/usr/bin/env python3
"""Writes the demo's texts: plain sentences about the countries of the world, and questions about them.

    python3 demo/make_data.py base OUT.jsonl                  {"text"} rows that the base model reads
    python3 demo/make_data.py rows TRAIN.jsonl HELDOUT.jsonl  {"instruction","input","output"} rows

Every sentence is put together here from a table of facts, so the text belongs to this project (Apache-2.0). Only the
standard library is used and the same seed gives the same bytes. The base text states facts in many ways; it holds no
question and no chat marker: answering is what the demo's adapter has to learn. The countries of the held-out questions
appear in no training question, so a right answer there is knowledge of the base model in a form that it has learned.
"""
import argparse
import json
import random

# country, capital, continent, language, currency
FACTS = [line.split("|") for line in """\
Norway|Oslo|Europe|Norwegian|krone
Sweden|Stockholm|Europe|Swedish|krona
Denmark|Copenhagen|Europe|Danish|krone
Finland|Helsinki|Europe|Finnish|euro
Iceland|Reykjavik|Europe|Icelandic|krona
Ireland|Dublin|Europe|English|euro
France|Paris|Europe|French|euro
Germany|Berlin|Europe|German|euro
Austria|Vienna|Europe|German|euro
Spain|Madrid|Europe|Spanish|euro
Portugal|Lisbon|Europe|Portuguese|euro
Italy|Rome|Europe|Italian|euro
Greece|Athens|Europe|Greek|euro
Poland|Warsaw|Europe|Polish|zloty
Hungary|Budapest|Europe|Hungarian|forint
Romania|Bucharest|Europe|Romanian|leu
Ukraine|Kyiv|Europe|Ukrainian|hryvnia
Serbia|Belgrade|Europe|Serbian|dinar
Albania|Tirana|Europe|Albanian|lek
Slovakia|Bratislava|Europe|Slovak|euro
Slovenia|Ljubljana|Europe|Slovene|euro
Estonia|Tallinn|Europe|Estonian|euro
Latvia|Riga|Europe|Latvian|euro
Lithuania|Vilnius|Europe|Lithuanian|euro
Malta|Valletta|Europe|Maltese|euro
Turkey|Ankara|Asia|Turkish|lira
Japan|Tokyo|Asia|Japanese|yen
China|Beijing|Asia|Chinese|yuan
Mongolia|Ulaanbaatar|Asia|Mongolian|tugrik
Thailand|Bangkok|Asia|Thai|baht
Vietnam|Hanoi|Asia|Vietnamese|dong
Laos|Vientiane|Asia|Lao|kip
Cambodia|Phnom Penh|Asia|Khmer|riel
Malaysia|Kuala Lumpur|Asia|Malay|ringgit
Indonesia|Jakarta|Asia|Indonesian|rupiah
Nepal|Kathmandu|Asia|Nepali|rupee
India|New Delhi|Asia|Hindi|rupee
Pakistan|Islamabad|Asia|Urdu|rupee
Bangladesh|Dhaka|Asia|Bengali|taka
Iran|Tehran|Asia|Persian|rial
Iraq|Baghdad|Asia|Arabic|dinar
Jordan|Amman|Asia|Arabic|dinar
Kuwait|Kuwait City|Asia|Arabic|dinar
Oman|Muscat|Asia|Arabic|rial
Armenia|Yerevan|Asia|Armenian|dram
Georgia|Tbilisi|Asia|Georgian|lari
Kazakhstan|Astana|Asia|Kazakh|tenge
Uzbekistan|Tashkent|Asia|Uzbek|som
Egypt|Cairo|Africa|Arabic|pound
Libya|Tripoli|Africa|Arabic|dinar
Tunisia|Tunis|Africa|Arabic|dinar
Algeria|Algiers|Africa|Arabic|dinar
Morocco|Rabat|Africa|Arabic|dirham
Ethiopia|Addis Ababa|Africa|Amharic|birr
Kenya|Nairobi|Africa|Swahili|shilling
Uganda|Kampala|Africa|English|shilling
Ghana|Accra|Africa|English|cedi
Nigeria|Abuja|Africa|English|naira
Senegal|Dakar|Africa|French|franc
Mali|Bamako|Africa|French|franc
Angola|Luanda|Africa|Portuguese|kwanza
Zambia|Lusaka|Africa|English|kwacha
Botswana|Gaborone|Africa|English|pula
Madagascar|Antananarivo|Africa|Malagasy|ariary
Mexico|Mexico City|America|Spanish|peso
Cuba|Havana|America|Spanish|peso
Guatemala|Guatemala City|America|Spanish|quetzal
Honduras|Tegucigalpa|America|Spanish|lempira
Panama|Panama City|America|Spanish|balboa
Colombia|Bogota|America|Spanish|peso
Ecuador|Quito|America|Spanish|dollar
Peru|Lima|America|Spanish|sol
Chile|Santiago|America|Spanish|peso
Argentina|Buenos Aires|America|Spanish|peso
Uruguay|Montevideo|America|Spanish|peso
Paraguay|Asuncion|America|Spanish|guarani
Brazil|Brasilia|America|Portuguese|real
Jamaica|Kingston|America|English|dollar
Haiti|Port-au-Prince|America|French|gourde
Canada|Ottawa|America|English|dollar""".splitlines()]
HELD_OUT = {"Norway", "Japan", "Egypt", "Peru", "Poland", "Kenya", "Thailand", "Brazil", "Greece", "Nepal", "Cuba",
            "Finland", "Ghana", "Chile", "Hungary", "Vietnam"}

# How each fact is told: the first form of each line is also the answer to its question.
TOLD = [
    ["The capital of {0} is {1}.", "{1} is the capital of {0}.", "The government of {0} meets in {1}.",
     "In {0} the trains run to {1}, the capital."],
    ["{0} is a country in {2}.", "{0} lies in {2}.", "On the map you find {0} in {2}.", "{0} belongs to {2}."],
    ["People in {0} speak {3}.", "{3} is spoken in {0}.", "In {0} the children learn {3} at school.",
     "The newspapers of {0} are written in {3}."],
    ["People in {0} pay with the {4}.", "The money of {0} is the {4}.", "In {0} bread costs a few {4}.",
     "The {4} is the currency of {0}."],
]
ASKED = [
    ["What is the capital of {0}?", "Which city is the capital of {0}?", "Name the capital of {0}."],
    ["Where is {0}?", "In which part of the world is {0}?", "On which continent does {0} lie?"],
    ["Which language is spoken in {0}?", "What do people in {0} speak?", "Name the language of {0}."],
    ["How do people in {0} pay?", "Which money is used in {0}?", "What is the currency of {0}?"],
]


def base_text(rng):
    """A few sentences, each about a country of its own or all about one."""
    count = rng.randint(3, 6)
    one = rng.choice(FACTS) if rng.random() < 0.5 else None
    return " ".join(rng.choice(rng.choice(TOLD)).format(*(one or rng.choice(FACTS))) for _ in range(count))


def question_rows(fact, rng):
    rows = [{"instruction": question.format(*fact), "input": "", "output": told[0].format(*fact)}
            for told, asked in zip(TOLD, ASKED) for question in asked]
    rng.shuffle(rows)
    return rows


def write(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    base = commands.add_parser("base")
    base.add_argument("out")
    base.add_argument("--rows", type=int, default=40000)
    base.add_argument("--seed", type=int, default=1)
    rows = commands.add_parser("rows")
    rows.add_argument("train")
    rows.add_argument("heldout")
    rows.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    if args.command == "base":
        write(args.out, ({"text": base_text(rng)} for _ in range(args.rows)))
        return
    train = [row for fact in FACTS if fact[0] not in HELD_OUT for row in question_rows(fact, rng)]
    held_out = [row for fact in FACTS if fact[0] in HELD_OUT for row in question_rows(fact, rng)[:6]]
    rng.shuffle(train)
    write(args.train, train)
    write(args.heldout, held_out)


if __name__ == "__main__":
    main()
