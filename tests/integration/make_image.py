#!/usr/bin/env python3
"""Make an image that is awkward to unpack, as an OCI layout folder.

usage: [MAKE_IMAGE_LIE=1] make_image.py FOLDER MARK [BYTES]

MARK is the content of /mark, so that another one makes another image; BYTES are random
ones in a layer of their own, for transfers that take a while.  A lying image has a config
that promises another third layer.
"""
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile

MTIME = 1700000000
CAP_NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def entry(name, type=tarfile.REGTYPE, mode=0o644, data=b"", link="", uid=0, gid=0, xattrs=None):
    t = tarfile.TarInfo(name)
    t.type, t.mode, t.size, t.linkname = type, mode, len(data), link
    t.uid, t.gid, t.mtime = uid, gid, MTIME
    t.pax_headers = {"SCHILY.xattr." + k: v.decode("latin-1") for k, v in (xattrs or {}).items()}
    return t, data


def folder(name, mode=0o755, **more):
    return entry(name, tarfile.DIRTYPE, mode, **more)


def symlink(name, target):
    return entry(name, tarfile.SYMTYPE, 0o777, link=target)


def hardlink(name, target):
    return entry(name, tarfile.LNKTYPE, link=target)


def tar(entries):
    out = io.BytesIO()
    # latin-1: bytes of extended attributes go into the header as they are
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, encoding="latin-1") as t:
        for info, data in entries:
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def base(mark):
    with open("/bin/busybox", "rb") as f:
        busybox = f.read()
    applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True,
                             check=True).stdout.split()
    return [
        folder("usr"), folder("usr/bin"), folder("usr/lib"),
        symlink("bin", "usr/bin"), symlink("lib", "usr/lib"),
        entry("usr/bin/busybox", mode=0o755, data=busybox),
        *[symlink("usr/bin/" + a, "busybox") for a in applets if a != "busybox"],
        folder("etc"), entry("etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\n"),
        folder("tmp", 0o1777), folder("root", 0o700),
        folder("dev"), folder("proc"), folder("sys"),
        folder("data", 0o750, uid=3, gid=4), entry("data/old"), folder("data/sub"),
        entry("data/sub/old"),
        folder("keep"), entry("keep/gone"), entry("keep/stays"),
        folder("turns"), entry("turns/inside"), entry("plain"),
        entry("usr/bin/setuid", mode=0o4755, data=b"s"),
        entry("usr/bin/capable", mode=0o755, data=b"c",
              xattrs={"security.capability": CAP_NET_RAW, "user.note": b"hello"}),
        entry("owned", data=b"o", uid=1234, gid=4321),
        entry("mark", data=mark.encode()),
    ]


# No entry names its folder; some go through a symbolic link of the layer below.
PARENTLESS = [
    entry("lib/foo", data=b"foo"),
    entry("root/x"), entry("tmp/y"),
    hardlink("etc/passwd.link", "etc/passwd"),
    hardlink("usr/bin/setuid.link", "bin/setuid"),
    entry("keep/.wh.gone"),
    entry("data/.wh..wh..opq"), entry("data/new", data=b"new"),
]
# Files and folders change places.
TURNED = [entry("turns", data=b"file"), folder("plain", 0o711), entry("plain/inside")]
TWICE = [folder("etc"), entry("etc/twice", data=b"2")]


def blob(root, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(root, "blobs/sha256", digest), "wb") as f:
        f.write(data)
    return "sha256:" + digest


def described(root, kind, data):
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": blob(root, data),
            "size": len(data)}


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


def main():
    root, mark = sys.argv[1:3]
    os.makedirs(os.path.join(root, "blobs/sha256"))
    layers = [(base(mark), "+gzip", lambda d: gzip.compress(d, 6, mtime=0)),
              (PARENTLESS, "+zstd", zstd),
              (TURNED, "", lambda d: d),
              (TWICE, "+gzip", lambda d: gzip.compress(d, mtime=0)),
              (TWICE, "+gzip", lambda d: gzip.compress(d, mtime=0))]
    if len(sys.argv) > 3:
        layers.append(([entry("random", data=os.urandom(int(sys.argv[3])))], "", lambda d: d))
    tars = [tar(entries) for entries, _, _ in layers]
    diff_ids = ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]
    if os.environ.get("MAKE_IMAGE_LIE"):
        diff_ids[2] = diff_ids[2][:-8] + "00000000"
    config = {"architecture": ARCH.get(platform.machine(), platform.machine()), "os": "linux",
              "config": {"Env": ["PATH=/usr/bin", "FROM_BASE=1"], "Cmd": ["sh"]},
              "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": described(root, "config.v1+json", json.dumps(config).encode()),
                "layers": [described(root, "layer.v1.tar" + suffix, pack(t))
                           for t, (_, suffix, pack) in zip(tars, layers)]}
    top = described(root, "manifest.v1+json", json.dumps(manifest).encode())
    with open(os.path.join(root, "index.json"), "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [top]}, f)
    with open(os.path.join(root, "oci-layout"), "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    print(top["digest"])


main()
