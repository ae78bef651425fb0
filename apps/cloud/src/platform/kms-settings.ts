import path from 'node:path';
import { z } from 'zod';

/** Where the keys are that wrap, as one setting says it. */
export type KmsSettings =
  | {
      readonly kind: 'file';
      /** Absolute; undefined for the one below HOLDFAST_HOME. */
      readonly filePath: string | undefined;
    }
  | {
      readonly kind: 'pkcs11';
      /** The library of the token's maker; absolute. */
      readonly modulePath: string;
      readonly tokenLabel: string;
    };

/** Bytes that a token's label has room for. */
const LABEL_BYTES = 32;
const wanted = 'it must be file, file:PATH or pkcs11:token=LABEL?module-path=/PATH';

/** `file`, `file:PATH`, or a PKCS#11 URI (RFC 7512) of a token by its label, with the path of its module and without its PIN. */
export const KmsSetting = z.string().transform((text, ctx): KmsSettings => {
  const read = text.startsWith('pkcs11:') ? readToken(text.slice('pkcs11:'.length)) : readFile(text);
  if (typeof read !== 'string') return read;
  ctx.addIssue({ code: 'custom', message: read });
  return z.NEVER;
});

function readFile(text: string): KmsSettings | string {
  if (text === 'file') return { kind: 'file', filePath: undefined };
  if (!/^file:./s.test(text)) return wanted;
  return { kind: 'file', filePath: path.resolve(text.slice('file:'.length)) };
}

function readToken(text: string): KmsSettings | string {
  const [token = '', query = '', ...more] = text.split('?');
  const attributes = [...attributesOf(token, ';'), ...attributesOf(query, '&')];
  const names = attributes.map(([name]) => name);
  if (names.some((name) => name === 'pin-value' || name === 'pin-source'))
    return 'it must be without a PIN: HOLDFAST_KMS_SECRET_FILE names the file with it';
  if (more.length > 0 || names.toSorted().join() !== 'module-path,token') return wanted;
  const { token: tokenLabel, 'module-path': modulePath } = Object.fromEntries(attributes) as Record<string, string>;
  if (!tokenLabel || !modulePath || Buffer.byteLength(tokenLabel) > LABEL_BYTES || !path.isAbsolute(modulePath))
    return wanted;
  return { kind: 'pkcs11', tokenLabel, modulePath };
}

function attributesOf(text: string, separator: string): readonly (readonly [name: string, value: string])[] {
  const parts = text === '' ? [] : text.split(separator);
  return parts.map((part) => {
    const at = part.indexOf('=');
    return at === -1 ? [part, ''] : [part.slice(0, at), decode(part.slice(at + 1))];
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
