import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** The names of what is found in the memory of a process, raw or as text. Linux, and who may look into it. */
export function foundInMemory(pid: number, wanted: ReadonlyMap<string, Uint8Array>): readonly string[] {
  const forms = [...wanted].flatMap(([name, secret]) => {
    const bytes = Buffer.from(secret);
    // What is freed loses its first bytes, and half a key is half a secret.
    const half = bytes.subarray(bytes.length / 2);
    const texts = [half.toString('hex'), bytes.toString('base64').slice(0, 40)].map((text) => Buffer.from(text));
    return [half, ...texts].map((form) => ({ name, form }));
  });
  const found = new Set<string>();
  for (const region of memoryOf(pid)) for (const { name, form } of forms) if (region.includes(form)) found.add(name);
  return [...found];
}

function* memoryOf(pid: number): Generator<Buffer> {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      const region = Buffer.alloc(Number.parseInt(to, 16) - Number.parseInt(from, 16));
      const readBytes = readSync(memory, region, 0, region.length, Number.parseInt(from, 16));
      yield region.subarray(0, readBytes);
    }
  } finally {
    closeSync(memory);
  }
}
