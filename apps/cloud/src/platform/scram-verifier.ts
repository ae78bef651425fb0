import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { systemRandom, type Random } from '@holdfast/base';

const ITERATIONS = 4_096;

/**
 * What PostgreSQL keeps in place of a password (RFC 5803, RFC 7677): `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.
 *
 * Given to `alter role … password` instead of the password, which then stands in no statement and no log of statements.
 * The bytes are taken as they are, as this server's driver takes them when it signs in. Passwords are 256 random bits, so
 * the count of iterations is PostgreSQL's own.
 */
export function scramVerifier(password: string, random: Random = systemRandom): string {
  const salt = random(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const keyOf = (role: string) => createHmac('sha256', salted).update(`${role} Key`).digest();
  const storedKey = createHash('sha256').update(keyOf('Client')).digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${Buffer.from(salt).toString('base64')}$${storedKey}:${keyOf('Server').toString('base64')}`;
}
