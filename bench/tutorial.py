"""The tutorial's way, as it stands in a hundred posts; run by ``gunicorn -k gevent tutorial:app``."""

import json
from collections.abc import Iterator

from flask import Flask, Response, request
from openai import OpenAI

app = Flask(__name__)
client = OpenAI()


@app.post("/chat")
def chat() -> Response:
    """Relay one answer, a JSON line per chunk."""
    messages = request.get_json()["messages"]

    def generate() -> Iterator[str]:
        for chunk in client.chat.completions.create(model="gpt-4.1-mini", messages=messages, stream=True):
            if chunk.choices:
                yield json.dumps({"text": chunk.choices[0].delta.content}) + "\n"

    return Response(generate(), mimetype="application/x-ndjson")
