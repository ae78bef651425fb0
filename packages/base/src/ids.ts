/** A UUID that names one kind of thing: `Id<'archive'>` is not an `Id<'device'>`. */
export type Id<Noun extends string> = string & { readonly __noun?: Noun };

/** Source of random bytes; injected, so that a simulator can decide it. */
export type Random = (bytes: number) => Uint8Array<ArrayBuffer>;

/** The operating system's random bytes. */
export const systemRandom: Random = (bytes) => crypto.getRandomValues(new Uint8Array(bytes));

/** A UUIDv7: sorts by the time it was made (RFC 9562). */
export function newId<Noun extends string>(nowMs: number = Date.now(), random: Random = systemRandom): Id<Noun> {
  const bytes = random(16);
  new DataView(bytes.buffer).setUint16(0, Math.floor(nowMs / 2 ** 32));
  new DataView(bytes.buffer).setUint32(2, nowMs % 2 ** 32);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return formatUuid(bytes);
}

/** 16 bytes as a lower-case UUID string. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = bytes.toHex();
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The 16 bytes of a UUID string; undefined when it is none. */
export function parseUuid(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return undefined;
  return Uint8Array.fromHex(text.replaceAll('-', ''));
}
