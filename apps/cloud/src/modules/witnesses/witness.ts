import { parseWitnessKey, type WitnessKey } from '@holdfast/trust';
import { createEgress, type Egress } from '../../platform/egress.ts';

/** A witness that the operator configured. */
export type Witness = {
  /** Its submission prefix, without a final slash. */
  readonly url: string;
  readonly key: WitnessKey;
  /** The key as it is handed on, by which what it answered is kept. */
  readonly keyText: string;
};

/** More witnesses are not configured: each is asked about every head. */
export const MOST_WITNESSES = 8;

/**
 * Reads witnesses as the operator gives them: `URL KEY`, several separated by commas. Undefined where it is none of that, or
 * names one twice.
 */
export function parseWitnesses(text: string): readonly Witness[] | undefined {
  const parts = text.split(',').map((part) => part.trim());
  const found = parts.filter((part) => part !== '').map(parseWitness);
  const witnesses = found.filter((witness) => witness !== undefined);
  const names = new Set(witnesses.map(({ key }) => key.name));
  const isWhole = witnesses.length === found.length && names.size === found.length;
  return isWhole && witnesses.length <= MOST_WITNESSES ? witnesses : undefined;
}

function parseWitness(text: string): Witness | undefined {
  const [address = '', keyText = '', ...rest] = text.split(/\s+/);
  if (rest.length > 0 || !URL.canParse(address)) return undefined;
  const url = new URL(address);
  const isPlain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (!isPlain || !['https:', 'http:'].includes(url.protocol)) return undefined;
  try {
    return { url: url.href.replace(/\/$/, ''), key: parseWitnessKey(keyText), keyText };
  } catch {
    return undefined;
  }
}

/** Networks that are an organisation's own, and this machine: a witness may lie there. */
const OWN_NETWORKS = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '::1/128',
  'fc00::/7',
];

/**
 * What witnesses are asked through. The operator chose their addresses, not a tenant: they may lie in the organisation's own
 * networks, where plain http:// will do, since nothing that is sent is secret and every cosignature is signed.
 */
export function createWitnessEgress(): Egress {
  return createEgress({ allowedNetworks: OWN_NETWORKS });
}
