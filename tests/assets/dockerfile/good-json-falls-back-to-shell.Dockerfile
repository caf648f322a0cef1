FROM a
CMD ['single', 'quotes']
CMD ["trailing", "comma",]
CMD ["not closed"
CMD ["rest"] behind
CMD ["c:\windows"]
RUN [ -f /x ] && y
COPY [no, json]
ENTRYPOINT [ "ok" , "\u00fc\t" ]
VOLUME ["/a b"]
SHELL []
