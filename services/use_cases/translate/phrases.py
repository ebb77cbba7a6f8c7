"""Words by which models betray that they do something else than translate.

Lists of this kind are never complete: what they miss, the checks that need no words may find
(language, length, question mark, echo). They hold what was seen, in the languages seen most.
"""

import re

OPENERS = (
    "sure", "certainly", "of course", "okay", "ok,", "absolutely", "here is", "here's", "here’s",
    "here are", "the translat", "translat", "the text", "the sentence", "this translat",
    "claro", "por supuesto", "aquí", "la traducción", "traducción", "el texto",
    "natürlich", "gerne", "hier ist", "die übersetzung", "übersetzung", "die deutsche",
    "bien sûr", "voici", "la traduction", "traduction", "certo", "ecco", "la traduzione",
    "traduzione", "aqui está", "a tradução", "tradução", "вот", "перевод", "конечно",
    "以下是", "翻译", "译文", "翻譯", "翻訳", "以下",
)  # fmt: skip
"""How preambles begin, without case. Alone they prove nothing: a colon must follow."""

OF_TRANSLATING = re.compile(r"translat|tradu[cçzi]|übersetz|перев|翻译|翻譯|翻訳|译文", re.IGNORECASE)
"""Speaks of translating: a preamble does before its colon."""

COMMANDS = frozenset(
    """
    write tell say print output reply respond answer list give explain describe solve repeat show generate
    create compose summarize summarise calculate compute count complete continue act stop you please por
    escribe escriba dime di responde explica schreibe schreib sag antworte erkläre erklär écris écrivez dis
    réponds répondez scrivi rispondi escreva responda напиши скажи ответь
    """.split()  # noqa: SIM905 - ten words a line can be read, sixty strings cannot
)
"""First words of sentences that a model may take for orders."""

SUSPICIOUS = frozenset(
    """
    ignore ignora ignorez ignoriere disregard forget override bypass pretend jailbreak instead olvida olvide
    vergiss oublie oubliez dimentica esqueça instruction instructions instrucciones anweisung anweisungen
    istruzioni instruções prompt prompts system assistant ai chatbot translate translating translation
    traduzca traduce traducir übersetze übersetzen traduis traduisez traduci traduza
    игнорируй игнорируйте забудь забудьте инструкции переведи
    """.split()  # noqa: SIM905 - the same
)
"""Words of orders about the order itself, wherever they stand."""

SUSPICIOUS_SIGNS = (
    "忽略", "忘记", "指令", "翻译", "翻譯", "無視", "指示", "翻訳",
    "무시", "지시", "번역", "تجاهل", "تعليمات", "अनदेखा", "अनुवाद",
)  # fmt: skip
"""The same in scripts whose words are not parted by spaces, or carry other words with them."""

WORD = re.compile(r"\w+")
FIRST_WORD = re.compile(r"(?:\A|[.!?:;。！？]|[\"“«(\[])\s{0,3}(\w+)")


def orders(text: str) -> bool:
    """Tell whether a model may take the text for an order; such text is held, never refused."""
    lower = text.lower()
    return (
        not SUSPICIOUS.isdisjoint(WORD.findall(lower))
        or not COMMANDS.isdisjoint(FIRST_WORD.findall(lower))
        or (not text.isascii() and any(sign in text for sign in SUSPICIOUS_SIGNS))
    )


REFUSAL = re.compile(
    r"""(?:i(?:['’]m|\s+am)\s+(?:sorry|unable|not\s+able)|i\s+can(?:no|['’])t|i\s+apologi[sz]e|i\s+won['’]t
        |as\s+an?\s+(?:ai|artificial|language\s+model)
        |lo\s+siento|no\s+puedo|como\s+(?:una\s+)?(?:ia|inteligencia)
        |es\s+tut\s+mir\s+leid|ich\s+kann\s+(?:nicht|diese|ihnen|dir)|entschuldigung|als\s+ki
        |je\s+suis\s+désolé|je\s+ne\s+peux|désolé|mi\s+dispiace|non\s+posso
        |desculpe|sinto\s+muito|não\s+posso|извините|я\s+не\s+могу|抱歉|对不起|申し訳|すみません)""",
    re.VERBOSE | re.IGNORECASE,
)
"""How refusals begin; so do apologies, which people write and want translated."""

REFUSES_WORK = re.compile(
    r"""\b(?:assist|help\s+(?:you\s+)?with|comply|fulfill|translate\s+(?:this|that|the)|as\s+an?\s+ai
        |language\s+model|ayudar(?:te|le)?\s+con|asistir|cumplir|traducir|modelo\s+de\s+lenguaje
        |dabei\s+(?:nicht\s+)?helfen|behilflich|übersetzen|sprachmodell|als\s+ki
        |aider\s+(?:à|avec)|traduire|modèle\s+de\s+langage|tradurre|traduzir|assistenza)
      | помочь|перевести|协助|翻译|帮助|お手伝い|翻訳""",
    re.VERBOSE | re.IGNORECASE,
)
"""What a model refuses, and a person who apologises seldom names."""

NOTE = re.compile(
    r"""[(\[](?:note|translator['’]?s?\s+note|nota|anmerkung|hinweis|remarque|примечание|注|译注|訳注)\s*[:：]
      | (?:^|\s)(?:note|explanation|explicación|erklärung|explication)[:：]\s
      | ["”»]\s+(?:en\s+\w+\s+es|auf\s+\w+\s+(?:ist|heißt|lautet)|translates\s+to|means|in\s+\w+\s+is)\s""",
    re.VERBOSE | re.IGNORECASE,
)
"""A note on the translation, or a sentence about it."""

PREAMBLE_ALONE = re.compile(
    r"(?:translat|tradu[cçzi]|übersetz|перев|翻译|翻訳)\w*[^.:：]{0,40}[:：]\s*$", re.IGNORECASE
)
"""A preamble after which nothing came."""
