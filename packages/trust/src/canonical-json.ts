import { defineErrors } from '@holdfast/base';

/** A value that JSON can carry without loss. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Failures of writing or reading canonical JSON; `details.at` is the place, as a JSON Pointer (RFC 6901). */
export const canonicalJsonErrors = defineErrors('canonical_json', {
  not_representable: ['invalid', 'A value cannot be written as canonical JSON'],
  too_deep: ['invalid', 'A value is nested too deeply for canonical JSON'],
  not_canonical: ['invalid', 'The text is not canonical JSON'],
});

/** Arrays and objects within one another; deeper values are refused, so that no input exhausts the stack. */
const maxDepth = 64;

/**
 * Writes a value in its one canonical form, so that equal values have equal bytes and can be hashed and signed.
 *
 * Members are sorted by UTF-16 code units, numbers are written as ECMAScript does, nothing is escaped that need not be.
 * What has no exact form is refused: NaN and the infinities, lone surrogates, undefined, bigint, functions,
 * holes in arrays, and objects that are not plain (a Date, a Map).
 *
 * Source: RFC 8785, "JSON Canonicalization Scheme".
 * @throws canonical_json.not_representable, canonical_json.too_deep
 */
export function canonicalJson(value: Json): string {
  return writeValue(value, '', 0);
}

/** The canonical form as UTF-8 bytes: what is hashed and signed. */
export function canonicalJsonBytes(value: Json): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(canonicalJson(value));
}

/**
 * Reads text that must already be canonical, byte for byte.
 *
 * So a document has one spelling only: a duplicate member, a space or `1.0` for `1` is refused.
 * @throws canonical_json.not_canonical
 */
export function parseCanonicalJson(text: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw canonicalJsonErrors.not_canonical({}, error);
  }
  if (canonicalJson(value) !== text) throw canonicalJsonErrors.not_canonical();
  return value;
}

function writeValue(value: unknown, at: string, depth: number): string {
  if (depth > maxDepth) throw canonicalJsonErrors.too_deep({ at, maxDepth });
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return writeNumber(value, at);
  if (typeof value === 'string') return writeString(value, at);
  if (Array.isArray(value)) return writeArray(value, at, depth);
  if (isPlainObject(value)) return writeObject(value, at, depth);
  throw canonicalJsonErrors.not_representable({ at, found: typeof value });
}

function writeNumber(value: number, at: string): string {
  if (!Number.isFinite(value)) throw canonicalJsonErrors.not_representable({ at, found: String(value) });
  return JSON.stringify(value);
}

function writeString(value: string, at: string): string {
  if (!value.isWellFormed()) throw canonicalJsonErrors.not_representable({ at, found: 'lone surrogate' });
  return JSON.stringify(value);
}

function writeArray(value: readonly unknown[], at: string, depth: number): string {
  // Array.from visits holes, where map would skip them.
  return `[${Array.from(value, (item, index) => writeValue(item, `${at}/${index}`, depth + 1)).join(',')}]`;
}

function writeObject(value: Readonly<Record<string, unknown>>, at: string, depth: number): string {
  // Without a comparator, strings sort by UTF-16 code units: the order RFC 8785 asks for.
  const members = Object.keys(value).toSorted();
  const written = members.map((name) => {
    const place = `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return `${writeString(name, place)}:${writeValue(value[name], place, depth + 1)}`;
  });
  return `{${written.join(',')}}`;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
