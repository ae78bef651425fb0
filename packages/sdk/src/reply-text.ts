/** What a server sent, as far as it may be read and shown. */

/** More than any reply of this API but bytes has. */
const mostTextBytes = 256 * 1024 * 1024;

/** The text of a reply, or undefined where it is longer than it may be: nothing a server sends fills the memory. */
export async function textOf(reply: Response, mostBytes = mostTextBytes): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of (reply.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > mostBytes) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** JSON, or undefined for what is none. */
export function parseJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}

const mostDepth = 8;

/**
 * A value as a terminal may be given it: control characters, and those that turn the direction of text, are taken out of
 * all text in it, and what lies very deep is left out.
 */
export function shownOf(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.replaceAll(/(?![\t\n])[\p{Cc}\p{Cf}\p{Cs}]/gu, '\uFFFD');
  if (typeof value !== 'object' || value === null) return value;
  if (depth === mostDepth) return undefined;
  if (Array.isArray(value)) return value.map((each) => shownOf(each, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [shownOf(name), shownOf(each, depth + 1)]));
}
