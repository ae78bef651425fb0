import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';
import { pino, stdSerializers, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';

/** Where a part writes what happened: facts first, then a sentence. Never secrets; no tenant, device, user or path. */
export type Log = {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
};

/** How much is written; each level includes the ones after it. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
/** One of `logLevels`. */
export type LogLevel = (typeof logLevels)[number];

/** Writes nothing. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Fields that never reach a log, whoever puts them into its facts. */
const SECRET_FIELDS = ['password', 'secret', 'token', 'authorization', 'cookie', 'key', 'details', 'clientSecret'];

/**
 * A log of one JSON object per line: `level`, `time` (RFC 3339, UTC), `message`, the facts.
 *
 * Secrets by name, error details (they may hold paths) and everything of a request but its method are left out.
 */
export function createLog(options: { level: LogLevel; destination?: DestinationStream }): Logger {
  return pino(
    {
      level: options.level,
      base: null,
      messageKey: 'message',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), remove: true },
      serializers: {
        req: ({ method }: { method: string }) => ({ method }),
        res: ({ statusCode }: { statusCode: number }) => ({ statusCode }),
        err: describeError,
      },
    },
    options.destination ?? lastingDestination(1),
  );
}

const MAX_UNWRITTEN_BYTES = 1024 * 1024;

/** Writes lines to a descriptor whose disk may be full, or that nobody reads: what cannot be written is lost, and ends nothing. */
export function lastingDestination(fd: number): DestinationStream {
  const destination = pino.destination({ dest: fd, sync: true, maxLength: MAX_UNWRITTEN_BYTES });
  // Without a listener an error of the stream ends the process.
  destination.on('error', () => undefined);
  return destination;
}

function describeError(error: Error): object {
  const { type, message, stack } = stdSerializers.errWithCause(error);
  const { code, kind } = error as { code?: unknown; kind?: unknown };
  return {
    type,
    code,
    kind,
    message,
    stack,
    ...(error.cause instanceof Error && { cause: describeError(error.cause) }),
  };
}

/**
 * A file that log lines are appended to; at `maxBytes` it becomes `FILE.1`, that `FILE.2`, and so on up to `keep`.
 *
 * Lines are written at once, so none is lost when the process is killed. One that cannot be written (the disk is full) is
 * left out, and how many were is said as soon as there is room: a log must not end what it tells of. Mode 0600.
 */
export function rotatingFile(file: string, options: { maxBytes?: number; keep?: number } = {}): DestinationStream {
  const { maxBytes = 16 * 1024 * 1024, keep = 4 } = options;
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  let descriptor = openSync(file, 'a', 0o600);
  let written = fstatSync(descriptor).size;
  let leftOut = 0;
  const reopen = () => {
    closeSync(descriptor);
    descriptor = openSync(file, 'a', 0o600);
    written = fstatSync(descriptor).size;
  };
  const rotate = () => {
    for (let number = keep; number > 0; number--) {
      renameIfThere(number === 1 ? file : `${file}.${number - 1}`, `${file}.${number}`);
    }
    reopen();
  };
  const append = (line: string) => {
    if (written >= maxBytes) rotate();
    written += writeSync(descriptor, line);
  };
  return {
    write(line) {
      try {
        if (leftOut > 0) reopen();
        if (leftOut > 0)
          append(`${JSON.stringify({ level: 'warn', leftOut, message: 'lines could not be written' })}\n`);
        leftOut = 0;
        append(line);
      } catch {
        leftOut++;
      }
    },
  };
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
