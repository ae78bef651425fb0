/** How documents that anybody may have written are read: canonical JSON, of the members they have and no others. */
import type { CodedError, ErrorDetails } from '@holdfast/base';
import { parseCanonicalJson, type Json } from './canonical-json.ts';

/** Whether a value is what a member has to be; undefined is one that is missing. */
export type Field = (value: Json | undefined) => boolean;

/** The members of a document: these and no others. */
export type Shape = Readonly<Record<string, Field>>;

/** The members of an object. */
export type Members = { readonly [name: string]: Json };

/** Makes the error of a text that is no such document; `details.field` is what is wrong. */
export type Malformed = (details?: ErrorDetails, cause?: unknown) => CodedError;

/** Reads the members of a text, whatever they are. @throws what `malformed` makes, unless the text is one canonical object */
export function readMembers(text: string, malformed: Malformed): Members {
  let value: Json;
  try {
    value = parseCanonicalJson(text);
  } catch (error) {
    throw malformed({}, error);
  }
  if (!isMembers(value)) throw malformed();
  return value;
}

/** The first member that is missing, not allowed or not of its shape. */
export function wrongField(members: Members, shape: Shape): string | undefined {
  const unknown = Object.keys(members).find((name) => !Object.hasOwn(shape, name));
  return (
    unknown ??
    Object.keys(shape).find((name) => !shape[name]!(Object.hasOwn(members, name) ? members[name] : undefined))
  );
}

/** An object of a shape. */
export const isOf =
  (shape: Shape): Field =>
  (value) =>
    isMembers(value) && wrongField(value, shape) === undefined;

/** A list, within bounds, whose every item is of a form. */
export const isListOf =
  (item: Field, { least = 0, most }: { readonly least?: number; readonly most: number }): Field =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.length <= most && value.every((one: Json) => item(one));

/** A text of a form. */
export const isText =
  (form: RegExp): Field =>
  (value) =>
    typeof value === 'string' && form.test(value);

/** A whole number within bounds. */
export const isCount =
  (least: number, most: number = Number.MAX_SAFE_INTEGER): Field =>
  (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most;

/** One of these values. */
export const isOneOf =
  (...values: readonly Json[]): Field =>
  (value) =>
    value !== undefined && values.includes(value);

/** Null, or of a form. */
export const isOptional =
  (field: Field): Field =>
  (value) =>
    value === null || field(value);

/** A text that a reader takes: of a bounded length, and nothing else when it is read than when it is not. */
export const isReadBy =
  (reader: (text: string) => unknown, mostCharacters: number): Field =>
  (value) => {
    if (typeof value !== 'string' || value.length > mostCharacters) return false;
    try {
      reader(value);
      return true;
    } catch {
      // A reader has no other way to say that it does not take a text.
      return false;
    }
  };

/** Forms that many documents share. In base64url the last digit carries bits that are left over, and they are zero: each value has one spelling. */
export const forms = {
  uuid: isText(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  hex16: isText(/^[0-9a-f]{32}$/),
  hex32: isText(/^[0-9a-f]{64}$/),
  /** 32 bytes, base64url. */
  key32: isText(/^[\w-]{42}[AEIMQUYcgkosw048]$/),
  /** 16 bytes, base64url. */
  nonce16: isText(/^[\w-]{21}[AQgw]$/),
  /** 64 bytes, base64url. */
  signature64: isText(/^[\w-]{85}[AQgw]$/),
  /** RFC 3339, UTC, milliseconds. */
  instant: (value: Json | undefined): boolean => typeof value === 'string' && isInstant(value),
  /** `YYYY-MM-DD`. */
  day: (value: Json | undefined): boolean => typeof value === 'string' && isInstant(`${value}T00:00:00.000Z`),
} as const;

function isMembers(value: Json | undefined): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isInstant(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return false;
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text;
}
