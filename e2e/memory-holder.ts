/** A careless process: it holds secrets in every form until its standard input ends. Its first line is what it is to hold. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin });
const [line] = (await once(lines, 'line')) as [string];
/** As texts in JSON are held: of one byte for each character, or of two where one of them needs that. */
const held = (JSON.parse(line) as readonly string[]).map((hex) => {
  const secret = Buffer.from(hex, 'hex');
  const texts = (['base64', 'base64url'] as const).flatMap((alphabet) =>
    [0, 1, 2].map((before) => Buffer.concat([Buffer.alloc(before), secret]).toString(alphabet)),
  );
  const all = [hex, hex.toUpperCase(), ...texts];
  return {
    secret,
    texts: JSON.parse(JSON.stringify(all)) as unknown,
    wide: JSON.parse(JSON.stringify(['→', ...all].join(' '))) as unknown,
  };
});
process.stdout.write(`${held.length}\n`);
await once(lines, 'close');
process.stdout.write(`${held.length}\n`);
