import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { configErrors, type CloudConfig } from './config.ts';

/** The CAs (PEM) that witnesses are trusted by; undefined where it is the well-known ones. @throws config.invalid */
export async function readWitnessCa({
  witnessCaFile,
}: Pick<CloudConfig, 'witnessCaFile'>): Promise<string | undefined> {
  if (witnessCaFile === undefined) return undefined;
  try {
    const text = await readFile(witnessCaFile, 'utf8');
    // Of a file that holds none a connection would only be refused later.
    const first = new X509Certificate(text);
    if (!first.ca) throw new Error('its first certificate is none of a CA');
    return text;
  } catch (error) {
    const problems = [`HOLDFAST_WITNESS_CA_FILE: it must name a file of certificates (PEM): ${witnessCaFile}`];
    throw configErrors.invalid({ problems }, error);
  }
}
