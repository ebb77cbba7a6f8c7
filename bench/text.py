"""What is said in every experiment: one plausible answer, so that no output check is tripped.

The relays that check what a model says (language, echo, structure) must find nothing to mend,
or the bench would measure the mending.
"""

import re

ENGLISH = """\
Every morning the baker opens the small door of her shop before the sun has risen over the hills. \
She lights the oven, weighs the flour, and listens to the river that runs behind the old houses. \
By the time the first guests arrive, the loaves are warm and the windows are white with steam. \
The teacher buys two rolls, the doctor takes a dark loaf, and the children ask for a piece of cake. \
Nobody is in a hurry, because the day is long and the road to the city is still closed by snow. \
In the afternoon she writes down what was sold, cleans the tables, and walks home along the water. \
Her brother waits at the bridge with a lantern, and together they count the lights on the other side. \
"""

SPANISH = """\
Cada mañana la panadera abre la pequeña puerta de su tienda antes de que el sol salga sobre las colinas. \
Enciende el horno, pesa la harina y escucha el río que corre detrás de las casas viejas. \
Cuando llegan los primeros clientes, los panes están calientes y las ventanas blancas de vapor. \
El maestro compra dos bollos, el médico se lleva un pan oscuro y los niños piden un trozo de pastel. \
Nadie tiene prisa, porque el día es largo y el camino a la ciudad sigue cerrado por la nieve. \
Por la tarde ella anota lo que se ha vendido, limpia las mesas y vuelve a casa junto al agua. \
Su hermano la espera en el puente con un farol, y juntos cuentan las luces del otro lado. \
"""

LESSON = """\
:::step 1 Cada número tiene su lugar
Mira primero lo que está solo y lo que está junto a la letra antes de mover nada.
Lo que hacemos a un lado de la igualdad lo hacemos también al otro lado.
:::step 2 Deja la letra sola
Ahora quita de los dos lados lo que acompaña a la letra y escribe lo que queda.
Piensa en una balanza: si quitas el mismo peso de los dos platos, sigue en equilibrio.
Divide después los dos lados por el número que multiplica a la letra.
Prueba al final el resultado en la primera línea, porque así ves si todo está bien.
:::check equation type=short
:::expect los dos lados
Si quitas algo de un lado de la igualdad, ¿de dónde más tienes que quitarlo?
"""

MARKER = b"Cada"
"""The first delta of both answers: where it stands in a body, the first visible word has come."""


def deltas_of(text: str) -> tuple[str, ...]:
    """Cut a text into pieces of at most four letters that begin with a word, much as tokens do."""
    return tuple(re.findall(r"\S{1,4}\s?|\s", text))
