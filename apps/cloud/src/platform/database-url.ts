import { readFileSync } from 'node:fs';
import { defineErrors } from '@holdfast/base';
import ipaddr from 'ipaddr.js';
import type { DatabaseTarget } from './postgres.ts';

/** What can be wrong with the address of a database. */
export const databaseUrlErrors = defineErrors('database_url', {
  ssl_mode: ['invalid', "The database's address has an sslmode other than disable, require, verify-ca and verify-full"],
  ssl_root_cert: ['invalid', "The file that the database's address names in sslrootcert cannot be read"],
});

/**
 * Reads the target from a URL; a user and password in it are left aside, since each login brings its own.
 *
 * Its parameters mean what libpq makes of them: `host` (a socket's folder, say), `sslmode` and `sslrootcert`. Without a
 * mode, a database on this machine is reached in the clear, and one elsewhere by TLS with a certificate for its name.
 * @throws database_url.ssl_mode, database_url.ssl_root_cert
 */
export function databaseTargetOf(url: string): DatabaseTarget {
  const parsed = new URL(url);
  const named = decodeURIComponent(parsed.hostname).replace(/^\[|\]$/g, '');
  // Never empty: an empty one would be taken from the environment.
  const host = parsed.searchParams.get('host') ?? (named === '' ? 'localhost' : named);
  const mode = parsed.searchParams.get('sslmode') ?? (isOnThisMachine(host) ? 'disable' : 'verify-full');
  const ssl = sslOf(mode, parsed.searchParams.get('sslrootcert'));
  return {
    host,
    port: Number(parsed.port || 5432),
    database: decodeURIComponent(parsed.pathname.slice(1)) || 'holdfast',
    ...(ssl && { ssl }),
  };
}

/** The address alone, as `databaseTargetOf` reads it: no user, password or key, and nothing else that it does not name. */
export function databaseAddressOf(url: string): string {
  const address = new URL(url);
  address.username = '';
  address.password = '';
  for (const name of new Set(address.searchParams.keys()))
    if (!readNames.includes(name)) address.searchParams.delete(name);
  return address.href;
}

const readNames: readonly string[] = ['host', 'sslmode', 'sslrootcert'];

function isOnThisMachine(host: string): boolean {
  if (host.startsWith('/') || host === 'localhost') return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}

function sslOf(mode: string, rootCertFile: string | null): DatabaseTarget['ssl'] {
  const ca = rootCertFile === null || rootCertFile === 'system' ? {} : { ca: readRootCert(rootCertFile) };
  const anyName = { checkServerIdentity: () => undefined };
  switch (mode) {
    case 'disable':
      return undefined;
    case 'require':
      // As libpq has it: with a root certificate it is checked, without one the connection is only encrypted.
      return 'ca' in ca ? { rejectUnauthorized: true, ...ca, ...anyName } : { rejectUnauthorized: false };
    case 'verify-ca':
      return { rejectUnauthorized: true, ...ca, ...anyName };
    case 'verify-full':
      return { rejectUnauthorized: true, ...ca };
    default:
      // `allow` and `prefer` fall back to the clear whenever somebody in between wants it.
      throw databaseUrlErrors.ssl_mode({ sslMode: mode });
  }
}

function readRootCert(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw databaseUrlErrors.ssl_root_cert({ file }, error);
  }
}
