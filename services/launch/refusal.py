"""How the launcher says no."""


class Refusal(Exception):
    """What stands in the way, in words for the person at the terminal; no traceback follows."""


WITHOUT_IT = """\
Two ways to run without the embedded model:
  OPENAI_API_KEY=... make run                               OpenAI answers
  OPENAI_BASE_URL=http://localhost:11434/v1 make run        any compatible server answers"""
