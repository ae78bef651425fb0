/** Secrets that are typed or piped in: never an argument, which others on the computer can see. */
import { defineErrors } from '@holdfast/base';
import { archivePasswordErrors } from '@holdfast/trust';

const secretErrors = defineErrors('secret_input', {
  none: ['invalid', 'Nothing was typed'],
  too_long: ['invalid', 'There is more on standard input than any password or key has'],
  several_lines: ['invalid', 'There is more than one line on standard input'],
  differs: ['invalid', 'The two entries differ: nothing has changed'],
  other_key: ['invalid', 'A key was pressed that is no character'],
  stopped: ['conflict', 'Stopped: nothing has changed'],
});

/** Where a secret comes from: a terminal, on which nothing is shown, or a pipe. */
export type SecretInput = AsyncIterable<string | Uint8Array> & {
  readonly isTTY?: boolean | undefined;
  setRawMode?(isRaw: boolean): unknown;
  pause(): unknown;
};

/** Where one is asked for it. */
export type Prompt = { write(text: string): unknown };

const mostBytes = 65_536;
const keys = { interrupt: '\u0003', end: '\u0004', backspace: '\u007F', delete: '\b' } as const;

/**
 * Reads a password: on a terminal without showing it, twice where `again` is given; else one line of standard input.
 *
 * @throws secret_input.*, archive_password.not_text
 */
export async function readPassword(
  words: { readonly ask: string; readonly again?: string },
  input: SecretInput = process.stdin,
  prompt: Prompt = process.stderr,
): Promise<string> {
  if (!input.isTTY) return lineOf(await readAll(input));
  const typed = typedLines(input);
  try {
    const first = await askFor(words.ask, typed, prompt);
    if (words.again !== undefined && (await askFor(words.again, typed, prompt)) !== first) {
      throw secretErrors.differs({ remedy: 'run it again, and type the same twice' });
    }
    return first;
  } finally {
    await typed.return(undefined);
    input.pause();
  }
}

/** All of standard input, as UTF-8; what is longer than 64 KiB is refused, not cut. @throws archive_password.not_text, secret_input.too_long */
export async function readAll(input: SecretInput = process.stdin): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    parts.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes > mostBytes) throw secretErrors.too_long({ remedy: 'give the password or key alone' });
  }
  return textOf(Buffer.concat(parts));
}

function lineOf(text: string): string {
  const line = text.replace(/\r?\n$/, '');
  if (/[\r\n]/.test(line)) throw secretErrors.several_lines({ remedy: 'give the password as the only line' });
  if (line === '') throw secretErrors.none({ remedy: 'type it, or give it as one line of standard input' });
  return line;
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw archivePasswordErrors.not_text({}, error);
  }
}

async function askFor(words: string, typed: AsyncGenerator<string>, prompt: Prompt): Promise<string> {
  prompt.write(words);
  const { value, done } = await typed.next();
  prompt.write('\n');
  if (done || value === '') throw secretErrors.none({ remedy: 'run it again, and type it' });
  return value;
}

/** The lines that are typed on a terminal, which shows nothing of them; without their ends. */
async function* typedLines(input: SecretInput): AsyncGenerator<string, undefined> {
  let line = '';
  for await (const key of typedKeys(input)) {
    if (isLineEnd(key)) {
      yield line;
      line = '';
    } else line = isErasing(key) ? Array.from(line).slice(0, -1).join('') : line + plainKey(key);
  }
  return undefined;
}

async function* typedKeys(input: SecretInput): AsyncGenerator<string, undefined> {
  input.setRawMode?.(true);
  try {
    const decoder = new TextDecoder('utf-8');
    for await (const chunk of input) {
      yield* typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    }
    return undefined;
  } finally {
    input.setRawMode?.(false);
  }
}

const isLineEnd = (key: string) => key === '\r' || key === '\n' || key === keys.end;
const isErasing = (key: string) => key === keys.backspace || key === keys.delete;

/** What an arrow or a function key sends would be in the password unseen. */
function plainKey(key: string): string {
  if (key === keys.interrupt) throw secretErrors.stopped({ remedy: 'run it again when you are ready' });
  if (/\p{Cc}/u.test(key)) throw secretErrors.other_key({ remedy: 'run it again, and type characters alone' });
  return key;
}
