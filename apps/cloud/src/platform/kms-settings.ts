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
    }
  | {
      readonly kind: 'aws';
      readonly region: string;
      /** Another address than that of the region. */
      readonly endpoint: string | null;
      /** Of AWS's own files; `{role}` in it stands for each role. */
      readonly profile: string | undefined;
    }
  | {
      readonly kind: 'vault';
      /** Without a final slash. */
      readonly address: string;
      readonly mount: string;
      readonly namespace: string | null;
      /** Certificates (PEM) of the authorities that are believed; absolute. */
      readonly caFile: string | undefined;
    };

/** Bytes that a token's label has room for. */
const LABEL_BYTES = 32;
const wanted =
  'it must be file, file:PATH, pkcs11:token=LABEL?module-path=/PATH, aws-kms:region=REGION or vault:https://HOST:PORT';

/**
 * `file`, `file:PATH`, a PKCS#11 URI (RFC 7512) of a token by its label, with the path of its module and without its PIN,
 * `aws-kms:region=REGION` with `&profile=` and `&endpoint=`, or `vault:ADDRESS` with `?mount=`, `&namespace=` and `&ca-file=`.
 */
export const KmsSetting = z.string().transform((text, ctx): KmsSettings => {
  const read = readSetting(text);
  if (typeof read !== 'string') return read;
  ctx.addIssue({ code: 'custom', message: read });
  return z.NEVER;
});

function readSetting(text: string): KmsSettings | string {
  const [, kind = '', rest = ''] = /^([a-z0-9-]+):(.*)$/s.exec(text) ?? [];
  if (kind === 'pkcs11') return readToken(rest);
  if (kind === 'aws-kms') return readAws(rest);
  if (kind === 'vault') return readVault(rest);
  return readFile(text);
}

function readAws(text: string): KmsSettings | string {
  const attributes = attributesOf(text, '&');
  const { region, profile, endpoint, ...more } = Object.fromEntries(attributes) as Record<string, string>;
  if (!region || !/^[a-z0-9-]+$/.test(region) || Object.keys(more).length > 0) return wanted;
  if (profile === '' || hasDoubles(attributes)) return wanted;
  if (endpoint === undefined) return { kind: 'aws', region, endpoint: null, profile };
  const address = readAddress(endpoint);
  return address === undefined ? notSecure : { kind: 'aws', region, endpoint: address, profile };
}

function readVault(text: string): KmsSettings | string {
  const [place = '', query = '', ...rest] = text.split('?');
  const attributes = attributesOf(query, '&');
  const {
    mount = 'transit',
    namespace,
    'ca-file': caFile,
    ...more
  } = Object.fromEntries(attributes) as Record<string, string>;
  const isOdd = [rest, Object.keys(more)].some(({ length }) => length > 0) || hasDoubles(attributes);
  if (isOdd || !mountPattern.test(mount) || [namespace, caFile].includes('')) return wanted;
  const address = readAddress(place);
  if (address === undefined) return notSecure;
  const caPath = caFile === undefined ? undefined : path.resolve(caFile);
  return { kind: 'vault', address, mount, namespace: namespace ?? null, caFile: caPath };
}

const mountPattern = /^[\w-]+(\/[\w-]+)*$/;
const notSecure = 'its address must begin with https://, or be one of this machine, and have no path, user or query';
const ownHosts = ['localhost', '127.0.0.1', '[::1]'];

/** An origin; without TLS on this machine alone, where an agent of the service may listen. */
function readAddress(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isSecure = url.protocol === 'https:' || (url.protocol === 'http:' && ownHosts.includes(url.hostname));
  return isSecure && `${url.origin}/` === url.href ? url.origin : undefined;
}

function hasDoubles(attributes: readonly (readonly [name: string, value: string])[]): boolean {
  return new Set(attributes.map(([name]) => name)).size < attributes.length;
}

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
