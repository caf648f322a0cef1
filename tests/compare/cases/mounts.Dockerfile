#? --secret id=tok,src={ctx}/tok --secret id=envtok,src={ctx}/tok
#: echo secret >tok; mkdir d; echo f >d/f; chmod 640 d/f tok
#= /b1 lines: .*
FROM base AS other
RUN mkdir /o && echo o >/o/f && chown 5:5 /o
FROM base
RUN --mount=type=secret,id=tok cat /run/secrets/tok >/s && stat -c '%a %u:%g' /run/secrets/tok /run/secrets >/s.st
RUN --mount=type=secret,id=tok,target=/x/y/tok,mode=0440,uid=5,gid=6 stat -c '%a %u:%g' /x/y/tok >/s2
RUN --mount=type=secret,id=envtok,env=TOK echo $TOK >/s3; env | sort >/s3env; ls /run >/s3run
RUN --mount=type=secret,id=nope ls /run/secrets 2>/dev/null >/s4 || echo none >>/s4
RUN --mount=type=bind,target=/ctx ls -la /ctx | awk '{print $1,$3,$4,$9}' >/b1; touch /ctx/x 2>/dev/null || echo ro >>/b1
RUN --mount=type=bind,source=d,target=/m,rw touch /m/new && ls /m >/b2
RUN --mount=type=bind,from=other,source=/o,target=/o2 stat -c '%a %u:%g %n' /o2 /o2/f >/b3
RUN --mount=type=bind,source=d/f,target=/file cat /file >/b4
RUN --mount=type=cache,target=/c touch /c/x; stat -c '%a %u:%g' /c >/c1
RUN --mount=type=cache,target=/c ls /c >/c2
RUN --mount=type=cache,id=other,target=/c,uid=5,gid=6,mode=0700,sharing=locked stat -c '%a %u:%g' /c >/c3

RUN --mount=type=tmpfs,target=/t touch /t/x; stat -c '%a %u:%g' /t >/t1
RUN --mount=target=/tmp,type=tmpfs,size=1m df -k /tmp | tail -1 | awk '{print $2}' >/t2
USER app
RUN --mount=type=secret,id=tok cat /run/secrets/tok >/tmp/u1 2>&1; true
WORKDIR /home/app
RUN --mount=type=cache,target=rel stat -c '%a %u:%g' /home/app/rel >/tmp/u2
