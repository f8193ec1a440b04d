# cmake --install BUILD --prefix DIR: bin/gpumonth, and below share/ its configs, the licences of what is compiled into
# it, and completion for bash. The program finds its configs from where it lies, so the tree may be moved.
include_guard()
include(GNUInstallDirs)

install(TARGETS gpumonth RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/gpumonth)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES jobs/completion.bash RENAME gpumonth DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
# Headers that end up in the binary; the other libraries are the system's own and bring their licences themselves.
foreach(package libcli11-dev nlohmann-json3-dev libtomlplusplus-dev libeigen3-dev libceres-dev libboost-dev
        librandom123-dev libfmt-dev)
  file(GLOB copyright /usr/share/doc/${package}/copyright /usr/share/doc/${package}1.*/copyright)
  if(copyright)
    list(GET copyright 0 copyright)
    install(FILES ${copyright} RENAME ${package} DESTINATION ${CMAKE_INSTALL_DOCDIR}/licenses)
  endif()
endforeach()
