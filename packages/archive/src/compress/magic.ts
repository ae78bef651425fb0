type Signature = { readonly format: string; readonly at: number; readonly bytes: readonly number[] };

const ascii = (text: string): readonly number[] => Array.from(text, (letter) => letter.charCodeAt(0));

// Containers that may also hold plain data (tar, RIFF, TIFF, PDF, stored zip members) are left to the measurement.
const signatures: readonly Signature[] = [
  { format: 'gzip', at: 0, bytes: [0x1f, 0x8b, 0x08] },
  { format: 'bzip2', at: 4, bytes: [0x31, 0x41, 0x59, 0x26, 0x53, 0x59] },
  { format: 'xz', at: 0, bytes: [0xfd, ...ascii('7zXZ'), 0x00] },
  { format: '7z', at: 0, bytes: [...ascii('7z'), 0xbc, 0xaf, 0x27, 0x1c] },
  { format: 'zstd', at: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { format: 'lz4', at: 0, bytes: [0x04, 0x22, 0x4d, 0x18] },
  { format: 'lzip', at: 0, bytes: ascii('LZIP') },
  { format: 'rar', at: 0, bytes: [...ascii('Rar!'), 0x1a, 0x07] },
  { format: 'jpeg', at: 0, bytes: [0xff, 0xd8, 0xff] },
  { format: 'png', at: 0, bytes: [0x89, ...ascii('PNG'), 0x0d, 0x0a, 0x1a, 0x0a] },
  { format: 'gif', at: 0, bytes: ascii('GIF8') },
  { format: 'webp', at: 8, bytes: ascii('WEBP') },
  { format: 'mp4', at: 4, bytes: ascii('ftyp') },
  { format: 'matroska', at: 0, bytes: [0x1a, 0x45, 0xdf, 0xa3] },
  { format: 'ogg', at: 0, bytes: ascii('OggS') },
  { format: 'flac', at: 0, bytes: ascii('fLaC') },
  { format: 'mp3', at: 0, bytes: ascii('ID3') },
  { format: 'woff', at: 0, bytes: ascii('wOFF') },
  { format: 'woff2', at: 0, bytes: ascii('wOF2') },
  // A zip whose first member is deflated: jar, docx, xlsx, apk. Method at byte 8.
  { format: 'zip', at: 0, bytes: [...ascii('PK'), 0x03, 0x04] },
];

/** Name of the compressed format that a file with these first bytes has; undefined when it shows none. */
export function compressedFormat(head: Uint8Array): string | undefined {
  const found = signatures.find(({ at, bytes }) => bytes.every((byte, i) => head[at + i] === byte));
  if (found?.format === 'zip' && head[8] === 0) return undefined;
  return found?.format;
}
