"""What is said once the service answers: where, which model, and two lines to paste."""

from services.settings import DEFAULT_MODEL, Settings

TRANSLATE = '{"text": "The sea is calm tonight.", "target": "es"}'
TUTOR = '{"topic": "Solve 2x + 3 = 11"}'


def welcome(*, keyed: bool, at: str, model: str) -> str:
    """Return the text; ``at`` is where the service is reached, ``keyed`` whether it asks for keys."""
    key = " -H 'Authorization: Bearer <your key>'" if keyed else ""
    return f"""
Gloss listens on {at}
Answering: {model}

  curl -N{key} {at}/v1/translate -d '{TRANSLATE}'
  curl -N{key} {at}/v1/tutor -d '{TUTOR}'

Ctrl-C ends it.
"""


def who_answers(settings: Settings) -> str:
    """Return which model answers, where the user named a provider."""
    where = settings.openai_base_url or "OpenAI"
    model = settings.model or ("the first of its models" if settings.openai_base_url else DEFAULT_MODEL)
    return f"{model} at {where}"
