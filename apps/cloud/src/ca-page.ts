import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';

/**
 * Answers `/ca.pem` with the certificate of the local CA: agents fetch it there and compare it with their enrolment token.
 *
 * Returns the SHA-256 of its DER form, hex.
 */
export async function mountCaPage(app: FastifyInstance, caFile: string): Promise<string> {
  const pem = await readFile(caFile, 'utf8');
  const config = { open: 'A CA certificate is public; who fetches it must know its hash already' };
  app.get('/ca.pem', { config }, async (_request, reply) => reply.type('application/x-pem-file').send(pem));
  return caSha256Of(pem);
}

/** The SHA-256 of a certificate's DER form, hex: what enrolment tokens carry. */
export function caSha256Of(pem: string): string {
  return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
}
