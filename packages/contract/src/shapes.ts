import { z } from 'zod';

/** A flag in a query string, in any case: clients written in Python send `True`. */
export const QueryFlag = z
  .string()
  .regex(/^(true|false)$/i, 'it must be true or false')
  .transform((text) => text.toLowerCase() === 'true');

/** A whole number in a query string, from `min` to `max`. */
export const queryNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'it must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `it must be from ${min} to ${max}`);

/** Pages counted from 1, of 100 items unless asked otherwise: the way users, orgs and devices are listed. */
export const pageFromOne = {
  page: queryNumber(1, 1_000_000).default(1),
  pageSize: queryNumber(1, 1_000).default(100),
};

/** A SHA-256 on the wire: 64 hexadecimal digits in lower case. */
export const Sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'it must be 64 hexadecimal digits in lower case');

/** So many bytes on the wire, as base64url without padding. */
export const base64UrlBytes = (bytes: number) =>
  z
    .string()
    .regex(
      new RegExp(`^[\\w-]{${Math.ceil((bytes * 4) / 3)}}$`),
      `it must be ${bytes} bytes in base64url, without padding`,
    );

/** An instant on the wire: RFC 3339 in UTC, with milliseconds. */
export const Instant = z.iso.datetime({ precision: 3 });

/** A name people read: 1 to 200 characters, no control characters. */
export const DisplayName = z
  .string()
  .min(1)
  .max(200)
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'it must not have a control character in it');
