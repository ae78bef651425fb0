import { requestErrors } from '@holdfast/contract';

/** Arrays and objects within one another that a body may have. */
export const MAX_DEPTH = 32;

/**
 * Reads a JSON body: UTF-8, at most `MAX_DEPTH` deep, and with text that a database can store.
 *
 * @throws request.invalid_json, request.too_deep, request.invalid_text
 */
export function readJson(body: Uint8Array): unknown {
  const text = decodeUtf8(body);
  if (depthOf(text) > MAX_DEPTH) throw requestErrors.too_deep({ maxDepth: MAX_DEPTH });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw requestErrors.invalid_json({}, error);
  }
  refuseUnstorableText(value);
  return value;
}

/** Reads a form body or a query string's pairs; a name given twice becomes a list. */
export function readForm(body: Uint8Array): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of new URLSearchParams(decodeUtf8(body))) {
    const before = fields[name];
    fields[name] = before === undefined ? value : [before, value].flat();
  }
  refuseUnstorableText(fields);
  return { ...fields };
}

/**
 * Refuses NUL and lone surrogates anywhere in a value, and the name `__proto__`: PostgreSQL stores no NUL,
 * a lone surrogate has no UTF-8, and neither has a use.
 *
 * @throws request.invalid_text, naming the place as a JSON Pointer
 */
export function refuseUnstorableText(value: unknown, at = ''): void {
  if (typeof value === 'string') {
    if (!isStorable(value)) throw requestErrors.invalid_text({ at });
  } else if (Array.isArray(value)) {
    value.forEach((item, index) => refuseUnstorableText(item, `${at}/${index}`));
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      if (!isStorable(name) || name === '__proto__') throw requestErrors.invalid_text({ at });
      refuseUnstorableText(item, `${at}/${name}`);
    }
  }
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000');
}

function decodeUtf8(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (error) {
    throw requestErrors.invalid_json({ encoding: 'not UTF-8' }, error);
  }
}

/** The deepest nesting of brackets outside strings; found before parsing, so that depth costs no stack. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth);
    else if (character === ']' || character === '}') depth--;
  }
  return deepest;
}

/** Where the string that begins at `start` ends; the end of the text where nothing closes it, so that nothing is read twice. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}
