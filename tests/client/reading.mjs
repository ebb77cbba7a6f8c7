/** One reading, told line by line: `node reading.mjs '{"useCase": …, "fields": …, "options": …}'`. */
import { stream } from "../../client/gloss.js";

const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const { useCase, fields, options } = JSON.parse(process.argv[2]);
const onConnection = ({ state, error }) => tell({ state, after: error?.lastId ?? null });

const { text, finish, events } = await stream(useCase, fields, { ...options, onConnection }).collect();
tell({ text, finish, ids: events.map(({ id }) => id) });
