/**
 * Builds deploy/docker/Dockerfile without a container engine: each stage is a copy-on-write layer over the
 * file system of this machine, each RUN a shell in it. What is not shown here: that the base image named in the
 * file is as this machine is, a Debian with npm.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copiesOf, parseDockerfile, type Stage } from './dockerfile.ts';

const ROOT = join(import.meta.dirname, '../..');
export const DOCKERFILE = join(ROOT, 'deploy/docker/Dockerfile');
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
export const UNSHARE = { PATH: `${process.env.PATH}:${SYSTEM_PATH}` };

/** Whether this machine lets us make layers: root, with overlay file systems. */
export function canBuild(directory: string): boolean {
  try {
    const probe = layer(join(directory, 'probe'));
    execFileSync('unshare', ['-m', 'sh', '-ec', probe.mount], { env: UNSHARE, stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

function layer(base: string): { readonly root: string; readonly mount: string } {
  const [upper, work, root] = ['upper', 'work', 'root'].map((name) => join(base, name));
  for (const path of [upper, work, root]) mkdirSync(path ?? base, { recursive: true });
  return {
    root: root ?? base,
    mount: `mount -t overlay overlay -o lowerdir=/,upperdir=${upper},workdir=${work} ${root}`,
  };
}

export interface Build {
  readonly directory: string;
  /** Stands in for npm: a shell script. Default: this machine's npm. */
  readonly npm?: string;
}

/** Answers the root directory of the image. */
export function buildImage({ directory, npm }: Build): string {
  const { stages } = parseDockerfile(readFileSync(DOCKERFILE, 'utf8'));
  const roots = new Map<string, string>();
  const shim = join(directory, 'npm');
  if (npm !== undefined) writeFileSync(shim, npm, { mode: 0o755 });
  const script = stages.flatMap((stage) => {
    const base = join(directory, stage.name);
    mkdirSync(base, { recursive: true });
    if (stage.from === 'scratch') {
      roots.set(stage.name, base);
      return stepsOf(stage, base, roots);
    }
    const { root, mount } = layer(base);
    roots.set(stage.name, root);
    return [mount, ...furnish(root, npm && shim), ...stepsOf(stage, root, roots)];
  });
  const path = join(directory, 'build.sh');
  writeFileSync(path, `set -e\ncd ${ROOT}\n${script.join('\n')}\n`);
  // Its mounts end with it; what the last stage holds are plain files.
  execFileSync('unshare', ['-m', 'sh', path], { env: UNSHARE, stdio: 'pipe' });
  return roots.get('final') ?? directory;
}

/** What the base image has and this machine may have elsewhere: node, devices, and this checkout where it is. */
function furnish(root: string, npm: string | undefined): string[] {
  const binds = [
    [process.execPath, '/usr/local/bin/node'],
    ...(npm === undefined ? [] : [[npm, '/usr/local/bin/npm']]),
  ].map(([from, to]) => `touch ${root}${to}\nmount --bind ${from} ${root}${to}`);
  return [
    `mkdir -p ${root}${ROOT}\nmount --bind ${ROOT} ${root}${ROOT}`,
    `mount --bind /dev ${root}/dev\nmount -t proc proc ${root}/proc`,
    ...binds,
  ];
}

function stepsOf(stage: Stage, root: string, roots: ReadonlyMap<string, string>): string[] {
  let workdir = '/';
  const args: string[] = [];
  const copies = copiesOf(stage);
  return stage.instructions.flatMap(({ word, rest }) => {
    if (word === 'ARG') args.push(rest);
    if (word === 'WORKDIR') {
      workdir = rest;
      return [`mkdir -p ${root}${workdir}`];
    }
    if (word === 'RUN') {
      const command = `cd ${workdir} && ${rest}`;
      const shell = `/usr/sbin/chroot ${root} /bin/sh -c ${quoted(command)}`;
      return [`env -i PATH=${SYSTEM_PATH} HOME=/root ${args.join(' ')} ${shell}`];
    }
    if (word !== 'COPY') return [];
    const { from, to, stage: source } = copies.shift() ?? { from: [], to: '', stage: undefined };
    const base = source === undefined ? ROOT : (roots.get(source) ?? '');
    const target = join(root, to.startsWith('/') ? to : join(workdir, to));
    return [
      copy(
        from.map((path) => join(base, path)),
        target,
      ),
    ];
  });
}

/** A folder is copied as what is in it; files go into what ends with a slash. */
function copy(from: readonly string[], target: string): string {
  const [source] = from;
  if (from.length > 1) return `mkdir -p ${target}\ncp -a ${from.join(' ')} ${target}`;
  return `mkdir -p $(dirname ${target})\nif [ -d ${source} ]; then mkdir -p ${target}; cp -a ${source}/. ${target}; else cp -a ${source} ${target}; fi`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Instead of a network: what is installed here, without what is only for development. */
export function installedNpm(): string {
  const lock: {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const runtime = Object.entries(lock.packages).flatMap(([path, { dev }]) =>
    path === '' || dev === true ? [] : [path],
  );
  return `#!/bin/sh
set -e
case "$*" in
"install --no-save --include=dev --ignore-scripts --no-audit --no-fund") ln -s ${ROOT}/node_modules node_modules ;;
"install --no-save --omit=dev --ignore-scripts --no-audit --no-fund") tar -C ${ROOT} -c ${runtime.join(' ')} | tar -x ;;
"install --no-save --save-prod --omit=dev --ignore-scripts --no-audit --no-fund @opentelemetry/"*) cp -a ${ROOT}/node_modules/@opentelemetry node_modules/ ;;
*) echo "unexpected: npm $*" >&2; exit 1 ;;
esac
`;
}

/**
 * Runs a command in the image as a container engine does: read-only, as its user, as the first process, the volume
 * an empty disk. Arguments: the root of the image, the volume, `uid:gid`, the command. It leaves the environment alone.
 */
const RUN = `set -e
root=$1 volume=$2 user=$3
shift 3
/bin/mount --bind "$root" "$root"
/bin/mkdir -p "$root/proc"
/bin/mount -t proc proc "$root/proc"
/bin/mount -t tmpfs -o "uid=\${user%:*},gid=\${user#*:},mode=700" none "$root$volume"
/bin/mount -o remount,ro,bind "$root"
exec /usr/sbin/chroot --userspec="$user" "$root" "$@"`;

export interface Container {
  readonly root: string;
  readonly volume: string;
  /** `uid:gid` */
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
}

export function runInImage({ root, volume, user, env }: Container, command: readonly string[]) {
  const args = ['-m', '-p', '-f', '--kill-child', '/bin/sh', '-c', RUN, 'sh', root, volume, user];
  return spawn('/usr/bin/unshare', [...args, ...command], { env, stdio: 'pipe' });
}
