#= /etc/group group: .*
#= layer 8 names: cairn \['/etc/group'\] .*
FROM base
RUN touch /s && chmod 6755 /s && mkdir -m 1777 /t && mkdir -m 2775 /g && touch /g/f && mkfifo /p && mknod /c c 1 3 && ln -s /x /y
RUN chmod 600 /etc/passwd && chown -R app /home/app
RUN true
RUN touch -d @1400000000 /etc/group
RUN touch /tmp
RUN chmod 755 /s
RUN cp /etc/passwd /etc/p2 && mv /etc/p2 /etc/passwd
RUN ln /etc/group /etc/group2
RUN echo >> /etc/group2
