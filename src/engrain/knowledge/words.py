"""Words: the closed lists that rules look words up in."""

from __future__ import annotations


def listed(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


PLACES = listed(
    """barn boathouse street building room office village town city hall yard floor lane factory workshop garden kitchen school
    shop house station island shore corner gate door entrance desk park square road cellar attic court reception lounge
    laundry basement library church museum store storeroom warehouse cabinet cupboard drawer shelf shed garage lobby studio
    hotel hospital harbour quay river lake wood hill bridge market mill malthouse stairs centre center site area wall
    counter lot caravan box rack pool gym theatre cafe café bar pub farm field valley address"""
)
PLACE_PREPOSITIONS = listed("in at on behind beside under above opposite near outside inside below by next")
TIME_PREPOSITIONS = listed("before after during")
AFTER_VERBS = listed("name call look ask take run")
"""Verbs that "after" belongs to without telling when."""
LOCATIVE = PLACE_PREPOSITIONS - {"by", "next"}
HUMANS = listed(
    """people customer client guest visitor member child parent guardian patient pupil student nurse doctor teacher trainer
    tenant resident driver partner manager director owner founder volunteer colleague employee supplier friend nephew niece
    brother sister son daughter beginner adult family somebody anyone everyone staff team apprentice assistant technician
    engineer mechanic librarian warden chef baker
    newcomer learner merchant applicant buyer seller user participant passenger companion crew junior reader borrower
    carer senior neighbour caller walker renter cyclist singer aunt uncle mother father wife husband cousin grandmother
    grandfather mum dad"""
)
GROUPS = listed("people everyone anyone somebody staff team crew family")
"""Humans that a pronoun for one person cannot mean."""
WHEN_NOUNS = listed("""day week month year morning evening afternoon night weekend summer winter spring autumn season time moment
    handover arrival departure check-in checkout pickup signing""")
EXPLETIVES = listed(
    """forbidden allowed permitted prohibited recommended advised advisable required expected agreed decided said known possible impossible
    necessary important essential compulsory best better worth useful usual customary"""
)
"""What is said of "it" that stands for the infinitive or the clause after it."""
LIGHT = listed("place part care account advantage use room notice note")
CONTACT_VERBS = listed("ask ring call contact email phone tell see text")
ADDRESSED_VERBS = listed("tell contact email inform notify")
"""Verbs whose object is whoever is spoken to, also an office ("tell reception")."""
ALLOWING_VERBS = listed("allow permit accept admit")
MEANS_VERBS = listed("pay send go come travel arrive book cancel order confirm apply register deliver")
"""Verbs that "by" belongs to as the way in which they are done."""
SOAKING_VERBS = listed("keep store soak wash rinse wrap pack dip boil cook bake")
"""Verbs that "in" belongs to with what is around the thing."""
BANNED = listed(
    """dogs pets animals cats food drink drinks alcohol phones photos photographs fires candles barbecues bikes bicycles scooters
    shoes boots cars vans visitors guests children glass flash music drones tents weapons knives"""
)
"""What "no" forbids rather than lacks, beside all that ends in -ing."""
LANGUAGE_VERBS = listed("reply speak write answer teach talk read")
LIMITS = listed("even only about around approximately roughly exactly just some almost nearly")
UNITS = {
    "m": "metres", "cm": "centimetres", "mm": "millimetres", "km": "kilometres", "kg": "kilograms", "g": "grams", "mg": "milligrams",
    "l": "litres", "ml": "millilitres", "kWh": "kilowatt hours", "kW": "kilowatts", "W": "watts", "V": "volts", "A": "amps",
    "GB": "gigabytes", "MB": "megabytes", "TB": "terabytes", "KB": "kilobytes", "°C": "degrees", "°F": "degrees", "m²": "square metres",
    "sq m": "square metres", "dB": "decibels", "kcal": "calories", "square metres": "square metres", "feet": "feet", "foot": "feet",
    "inch": "inches",
}  # fmt: skip
"""Unit → how people say it after "how many"."""
MEASURED = {
    "away": "far away", "apart": "far apart", "high": "high", "tall": "tall", "wide": "wide", "long": "long", "deep": "deep",
    "thick": "thick", "heavy": "heavy", "old": "old", "large": "large", "late": "late", "early": "early",
}  # fmt: skip
"""Word after a measure → what follows "how" in a question for both."""
MEASURES = listed(
    "limit speed temperature capacity minimum maximum weight height width length depth distance size area pressure thickness diameter"
)
BOUNDS = listed("at most least up to only about some than more the all our a over under around")
ABSTRACT = listed(
    """exception addition case fact rest request time charge example general least most home instalment visit half part language way manner
    meeting appointment event session lesson group pair condition term basis price rate cost pay form writing cash person position state use
    sale leave holiday duty detail advance full turn order age class course race team competition project programme scheme plan
    licence license card expense behalf"""
)
VAGUE = listed(
    "it them us you me him her this that these those one anything something everything which what who all we i there they he she"
)
UNCOUNTED = listed(
    "wifi wi-fi parking smoking water heating access storage internet food electricity time limit space delivery postage repair membership "
    "insurance admission entry breakfast lunch dinner tea coffee equipment"
)
BEFORE_NOUNS = listed("up from under over above below per between within on at in for by until after before each more less")
DETERMINERS = listed("the a an our your each every all any no first second one two own")
PROPER_TAILS = listed(
    """Street Road Lane Lake Hotel Court Library Café School Hospital Ltd GmbH Centre Center House Hall Room Club Inn Park
    Square Yard Garden Gardens Farm Bakery Workshop Studio Museum Society Trust Mill Works Press Foundry Campsite Cabin
    Point Bay College Church Bank Insurance Service Services System Systems Market Fair Week Night Day Festival The the and"""
)
ROLE_ENDINGS = (
    r"er or ist ian ant ent man woman wright warden chef nurse clerk smith partner head chair nephew niece brother sister trainee \bvet "
    r"\bcook \bintern".replace(" ", "|")
)
NO_ROLES = listed(
    """order cover number water paper dinner timber river tower power shower corner border letter filter meter counter computer printer
    container locker poster folder trailer charger offer leather weather summer winter quarter chapter matter rubber silver butter
    copper amber floor door motor colour color decor indoor outdoor rent event tent content plant current list twist"""
)
ONE_THING = listed("course plan club tour class workshop scheme pass contract programme camp retreat festival membership agreement")
"""Nouns of headings whose sections speak of one thing, without naming it again."""
PRICES = listed("price fee cost charge")
SUMS = PRICES | listed(
    "deposit fine penalty rent surcharge supplement discount refund bill total salary wage balance excess loan prize tax tip"
)
"""What is an amount of money by itself."""
SPANS = listed("term period notice time guarantee warranty duration length turnaround delay stay wait break")
"""What is a length of time by itself."""
PARTS = listed("session sessions lesson lessons class classes member members part parts half end")
GENERIC = PRICES | PARTS | listed("place places ticket tickets group groups participant participants course plan deposit")
"""Subjects that every such thing has: `PRICES` are what it costs, `PARTS` belong to it."""
